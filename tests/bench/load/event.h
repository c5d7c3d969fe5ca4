/* What is published: a progress event that carries its number and the moment it was made. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

struct event {
    uint32_t number; /* from 0, over all tasks */
    int task;
    uint64_t made_ns; /* CLOCK_MONOTONIC */
};

/* How many bytes the JSON of every event shall have. Must be set once; less than the fields need is ignored. */
void event_set_size(size_t bytes);

void event_write(struct buffer *to, const struct event *event);

/* Finds number and moment in any text that carries an event. False if there is none. */
bool event_find(const char *text, size_t length, struct event *event);
