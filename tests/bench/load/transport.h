/* How messages travel: in WebSocket frames after an upgrade, or as HTTP/1.1 requests and responses. */
#pragma once

#include "buffer.h"

struct connection;

struct transport {
    /* Once the socket is connected. */
    void (*begin)(struct connection *connection);
    /* Appends a message to what is to be sent. */
    void (*say)(struct connection *connection, const struct buffer *message);
    /* Hands what has come to the dialect. Returns how many of the bytes are done with. */
    size_t (*read)(struct connection *connection, char *bytes, size_t length);
};

extern const struct transport WEBSOCKET, HTTP;
