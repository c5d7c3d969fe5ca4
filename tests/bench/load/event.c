#include "event.h"

#include <stdlib.h>
#include <string.h>

enum { MARK = '#', NUMBER_DIGITS = 8, MOMENT_DIGITS = 16, FIELDS_LENGTH = 130 };

static char *padding = "";

void event_set_size(size_t bytes) {
    size_t length = bytes > FIELDS_LENGTH ? bytes - FIELDS_LENGTH : 0;
    padding = malloc(length + 1);
    if (!padding) abort();
    memset(padding, 'x', length);
    padding[length] = 0;
}

void event_write(struct buffer *to, const struct event *event) {
    buffer_print(to,
                 "{\"taskId\":\"task-%d\",\"phase\":\"impl\",\"progress\":%u,"
                 "\"message\":\"%c%08x%016llx%s\",\"timestamp\":\"2026-01-02T03:04:05.678Z\"}",
                 event->task, event->number % 101, MARK, event->number, (unsigned long long)event->made_ns, padding);
}

static uint64_t hexadecimal(const char *digits, int count) {
    uint64_t value = 0;
    for (int i = 0; i < count; i++) value = (value << 4) + (digits[i] & 0xf) + (digits[i] > '9' ? 9 : 0);
    return value;
}

bool event_find(const char *text, size_t length, struct event *event) {
    const char *mark = memchr(text, MARK, length);
    if (!mark || text + length - mark <= NUMBER_DIGITS + MOMENT_DIGITS) return false;
    event->number = (uint32_t)hexadecimal(mark + 1, NUMBER_DIGITS);
    event->made_ns = hexadecimal(mark + 1 + NUMBER_DIGITS, MOMENT_DIGITS);
    return true;
}
