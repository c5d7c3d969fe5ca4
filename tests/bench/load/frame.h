/* RFC 6455 frames, either direction; and the handshake, whose key is always the RFC's own sample. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "buffer.h"

enum opcode { TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };

enum { FRAME_HEADER_MAX = 14 };

#define SAMPLE_KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define SAMPLE_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

struct frame {
    enum opcode opcode;
    char *payload;
    size_t length;
};

/* The frame that `bytes` begin with, unmasked in place. Returns how many bytes it takes, 0 if some are missing. */
size_t frame_read(char *bytes, size_t length, struct frame *frame);

void frame_write(struct buffer *to, enum opcode opcode, bool masked, const void *payload, size_t length);
