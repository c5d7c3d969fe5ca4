/* The clock, and the way out. */
#pragma once

#include <stdint.h>
#include <time.h>

static inline uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Ends the program with one line on stderr. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
