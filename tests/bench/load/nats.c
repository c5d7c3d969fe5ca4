/* NATS's client protocol inside binary frames, verbose: +OK answers each operation, as mutations are answered. */
#include <stdlib.h>
#include <string.h>

#include "connection.h"

static const char CONNECT[] = "CONNECT {\"verbose\":true,\"pedantic\":false,\"lang\":\"c\",\"version\":\"1\"}\r\n";

static bool greet(struct buffer *message, const struct connection *connection) {
    int task = connection->task;
    buffer_append(message, CONNECT, sizeof CONNECT - 1);
    if (task != PUBLISHER) buffer_print(message, "SUB ado.%d 1\r\n", task);
    return true;
}

static void publish(struct buffer *message, const struct event *events, int count) {
    struct buffer payload = {0};
    for (int i = 0; i < count; i++) {
        payload.length = 0;
        event_write(&payload, &events[i]);
        buffer_print(message, "PUB ado.%d %zu\r\n", events[i].task, payload.length);
        buffer_append(message, payload.bytes, payload.length);
        buffer_append(message, "\r\n", 2);
    }
    buffer_free(&payload);
}

static void agree(struct connection *connection) {
    int greeted = connection->task == PUBLISHER ? 1 : 2; /* CONNECT, and SUB */
    connection->agreements++;
    if (connection->agreements == greeted)
        heard_welcome(connection);
    else if (connection->agreements > greeted)
        heard_acknowledgement(connection);
}

static void answer_ping(struct connection *connection) {
    struct buffer pong = {"PONG\r\n", 6, 6};
    connection_say(connection, &pong);
    connection_flush(connection);
}

static bool begins(const char *text, size_t length, const char *word) {
    return length >= strlen(word) && !memcmp(text, word, strlen(word));
}

/* Hears "MSG subject sid size" and the payload after it. Returns the payload's length, or -1 if it is not all there. */
static long hear_message(struct connection *connection, const char *line, size_t length, size_t available) {
    const char *size = memrchr(line, ' ', length);
    size_t payload = size ? strtoul(size + 1, NULL, 10) + 2 : 0;
    if (available < payload) return -1;
    heard_event(connection, line + length + 2, payload);
    return (long)payload;
}

/* Hears the operation that `text` begins with. Returns its length, 0 if it is not all there. */
static size_t hear_operation(struct connection *connection, const char *text, size_t length) {
    const char *end = memchr(text, '\r', length);
    if (!end || end + 2 > text + length) return 0;
    size_t line = (size_t)(end - text), used = line + 2;
    if (begins(text, line, "MSG ")) {
        long payload = hear_message(connection, text, line, length - used);
        return payload < 0 ? 0 : used + (size_t)payload;
    }
    if (begins(text, line, "+OK")) agree(connection);
    if (begins(text, line, "PING")) answer_ping(connection);
    if (begins(text, line, "-ERR")) heard_refusal(text, line);
    return used;
}

/* A frame may hold many operations, and end within one. */
static void hear(struct connection *connection, const char *text, size_t length) {
    connection_hear_pieces(connection, text, length, hear_operation);
}

const struct dialect NATS = {
    .name = "nats",
    .transport = &WEBSOCKET,
    .opcode = BINARY,
    .greet = greet,
    .publish = publish,
    .acknowledges_each = true,
    .hear = hear,
};
