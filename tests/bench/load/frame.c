#include "frame.h"

#include <endian.h>
#include <stdint.h>
#include <string.h>

enum { MASKED = 0x80, LENGTH = 0x7f, LENGTH_16 = 126, LENGTH_64 = 127, FINAL = 0x80, KEY = 4 };

static const unsigned char CLIENT_KEY[KEY] = {0x37, 0xfa, 0x21, 0x3d};

static void mask(char *bytes, size_t length, const unsigned char key[KEY]) {
    uint64_t word, twice;
    memcpy(&twice, key, KEY);
    memcpy((char *)&twice + KEY, key, KEY);
    size_t at = 0;
    for (; at + sizeof word <= length; at += sizeof word) {
        memcpy(&word, bytes + at, sizeof word);
        word ^= twice;
        memcpy(bytes + at, &word, sizeof word);
    }
    for (; at < length; at++) bytes[at] ^= (char)key[at % KEY];
}

/* How many bytes follow the first two of a frame before its mask, and the length they tell. */
static size_t extended(const char *bytes, size_t available, size_t *length) {
    size_t extra = *length == LENGTH_16 ? 2 : *length == LENGTH_64 ? 8 : 0;
    if (available < 2 + extra) return extra;
    uint16_t short_length;
    uint64_t long_length;
    if (extra == 2) {
        memcpy(&short_length, bytes + 2, sizeof short_length);
        *length = be16toh(short_length);
    } else if (extra == 8) {
        memcpy(&long_length, bytes + 2, sizeof long_length);
        *length = be64toh(long_length);
    }
    return extra;
}

size_t frame_read(char *bytes, size_t available, struct frame *frame) {
    if (available < 2) return 0;
    bool masked = bytes[1] & MASKED;
    size_t length = bytes[1] & LENGTH;
    size_t header = 2 + extended(bytes, available, &length) + (masked ? KEY : 0);
    if (available < header || available - header < length) return 0;
    *frame = (struct frame){bytes[0] & 0x0f, bytes + header, length};
    if (masked) mask(frame->payload, length, (unsigned char *)frame->payload - KEY);
    return header + length;
}

static size_t write_header(char *to, enum opcode opcode, bool masked, size_t length) {
    to[0] = (char)(FINAL | opcode);
    char flag = masked ? (char)MASKED : 0;
    if (length < LENGTH_16) {
        to[1] = (char)(flag | (char)length);
        return 2;
    }
    if (length <= UINT16_MAX) {
        uint16_t big_endian = htobe16((uint16_t)length);
        to[1] = (char)(flag | LENGTH_16);
        memcpy(to + 2, &big_endian, sizeof big_endian);
        return 4;
    }
    uint64_t big_endian = htobe64(length);
    to[1] = (char)(flag | LENGTH_64);
    memcpy(to + 2, &big_endian, sizeof big_endian);
    return 10;
}

void frame_write(struct buffer *to, enum opcode opcode, bool masked, const void *payload, size_t length) {
    char *start = buffer_reserve(to, FRAME_HEADER_MAX + length);
    char *end = start + write_header(start, opcode, masked, length);
    if (masked) {
        memcpy(end, CLIENT_KEY, KEY);
        end += KEY;
    }
    memcpy(end, payload, length);
    if (masked) mask(end, length, CLIENT_KEY);
    to->length += (size_t)(end - start) + length;
}
