/* tRPC's server-sent events, one subscription on each connection. Who publishes to them does so over WebSockets. */
#include <string.h>

#include "connection.h"
#include "http.h"

struct text {
    const char *start;
    size_t length;
};

static bool greet(struct buffer *message, const struct connection *connection) {
    struct buffer target = {0};
    buffer_print(&target, "/trpc/stream.onTaskProgress?input=%%7B%%22taskId%%22%%3A%%22task-%d%%22%%7D", connection->task);
    /* After an id that no server knows comes all that is kept. */
    http_get(message, target.bytes, "text/event-stream", connection->replays ? "long ago" : NULL);
    buffer_free(&target);
    return true;
}

static bool is(struct text text, const char *word) {
    return text.length == strlen(word) && !memcmp(text.start, word, text.length);
}

/* If a line is the field `name`, takes its value. */
static void take(struct text *value, struct text line, const char *name) {
    size_t size = strlen(name);
    if (line.length < size || memcmp(line.start, name, size)) return;
    bool spaced = line.length > size && line.start[size] == ' ';
    *value = (struct text){line.start + size + spaced, line.length - size - spaced};
}

static void hear_event(struct connection *connection, struct text whole, struct text event, struct text data) {
    if (is(event, "connected"))
        heard_welcome(connection);
    else if (event.length && !is(event, "ping"))
        heard_refusal(whole.start, whole.length);
    else if (!event.length && data.length)
        heard_event(connection, data.start, data.length);
}

/* Hears the event that `text` begins with, up to the empty line that ends it. */
static size_t hear_block(struct connection *connection, const char *text, size_t length) {
    struct text event = {0}, data = {0};
    const char *end = text + length;
    for (const char *start = text, *stop; (stop = memchr(start, '\n', (size_t)(end - start))); start = stop + 1) {
        struct text line = {start, (size_t)(stop - start)};
        if (!line.length) {
            struct text whole = {text, (size_t)(stop + 1 - text)};
            hear_event(connection, whole, event, data);
            return whole.length;
        }
        take(&event, line, "event:");
        take(&data, line, "data:");
    }
    return 0;
}

static void hear(struct connection *connection, const char *text, size_t length) {
    connection_hear_pieces(connection, text, length, hear_block);
}

const struct dialect SSE = {
    .name = "sse", .transport = &HTTP, .streams = true, .publishing = &TRPC, .greet = greet, .hear = hear};
