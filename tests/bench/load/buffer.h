/* Bytes that grow at the end and are taken from the front. An empty one holds no memory. */
#pragma once

#include <stddef.h>

struct buffer {
    char *bytes;
    size_t length, capacity;
};

/* Where the next `room` bytes may be written. They count once `length` has been raised. */
char *buffer_reserve(struct buffer *buffer, size_t room);

void buffer_append(struct buffer *buffer, const void *bytes, size_t length);
void buffer_print(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_drop(struct buffer *buffer, size_t length);
void buffer_free(struct buffer *buffer);
