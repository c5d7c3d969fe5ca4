/* As little as there can be: "S3" subscribes to task 3, "P3 …" publishes to it, "+" answers either. */
#include "connection.h"

static bool greet(struct buffer *message, const struct connection *connection) {
    int task = connection->task;
    if (task == PUBLISHER) return false;
    buffer_print(message, "S%d", task);
    return true;
}

static void publish(struct buffer *message, const struct event *events, int count) {
    if (count != 1) heard_refusal("this dialect has no batches", 27);
    buffer_print(message, "P%d ", events->task);
    event_write(message, events);
}

static void hear(struct connection *connection, const char *text, size_t length) {
    if (length != 1 || *text != '+')
        heard_event(connection, text, length);
    else if (connection->task == PUBLISHER)
        heard_acknowledgement(connection);
    else
        heard_welcome(connection);
}

const struct dialect BARE = {
    .name = "bare",
    .transport = &WEBSOCKET,
    .opcode = TEXT,
    .greet = greet,
    .publish = publish,
    .acknowledges_each = true,
    .hear = hear,
};
