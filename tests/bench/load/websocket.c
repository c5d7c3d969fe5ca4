/* Messages in RFC 6455 frames. */
#include <string.h>

#include "common.h"
#include "connection.h"
#include "frame.h"

static const char UPGRADE[] =
    "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: " SAMPLE_KEY "\r\nSec-WebSocket-Version: 13\r\n\r\n";

static void begin(struct connection *connection) {
    connection->stage = UPGRADING;
    buffer_append(&connection->unsent, UPGRADE, sizeof UPGRADE - 1);
}

static void say(struct connection *connection, const struct buffer *message) {
    frame_write(&connection->unsent, connection->dialect->opcode, true, message->bytes, message->length);
}

/* Takes the answer to the upgrade. Returns its length, 0 if it is not complete. */
static size_t read_upgrade(struct connection *connection, const char *bytes, size_t length) {
    const char *end = memmem(bytes, length, "\r\n\r\n", 4);
    if (!end) return 0;
    size_t head = (size_t)(end - bytes) + 4;
    if (!memmem(bytes, head, " 101 ", 5) || !memmem(bytes, head, SAMPLE_ACCEPT, sizeof SAMPLE_ACCEPT - 1))
        die("the upgrade was refused: %.*s", (int)head, bytes);
    connection_greet(connection);
    return head;
}

static void hear_frame(struct connection *connection, const struct frame *frame) {
    if (frame->opcode == CLOSE) die("the server closed a connection");
    if (frame->opcode == PING) {
        frame_write(&connection->unsent, PONG, true, frame->payload, frame->length);
        connection_flush(connection);
    } else if (frame->opcode != PONG) {
        connection->dialect->hear(connection, frame->payload, frame->length);
    }
}

static size_t read_frames(struct connection *connection, char *bytes, size_t length) {
    size_t used = connection->stage == UPGRADING ? read_upgrade(connection, bytes, length) : 0;
    if (connection->stage == UPGRADING) return 0;
    struct frame frame;
    for (size_t size; (size = frame_read(bytes + used, length - used, &frame)); used += size)
        hear_frame(connection, &frame);
    return used;
}

const struct transport WEBSOCKET = {begin, say, read_frames};
