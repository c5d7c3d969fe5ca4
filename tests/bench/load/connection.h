/* One client: connecting, upgrading, greeting, ready; what is half sent and half received. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"
#include "dialect.h"
#include "http.h"
#include "ledger.h"

enum stage { CONNECTING, UPGRADING, GREETING, READY };

struct connection {
    const struct dialect *dialect;
    int descriptor;
    enum stage stage;
    int task; /* or PUBLISHER */
    bool stalled;
    bool replays; /* it asks for all that is kept */
    struct ledger ledger;
    struct buffer unsent;
    struct buffer unread; /* the start of a frame, a head or a chunk */
    struct buffer unheard; /* the start of a message, where messages come in pieces */
    struct response response; /* HTTP: the one that is being read */
    uint64_t asked_ns; /* when a caller asked what is not answered yet; 0 if it waits for nothing */
    int agreements; /* NATS: how many +OK came */
};

/* Every connection goes to 127.0.0.1:port and is watched by `epoll` with its address as data. */
void connections_to(int port, int epoll);

void connection_open(struct connection *connection, const struct dialect *dialect, int task, bool replays);
void connection_wake(struct connection *connection, uint32_t epoll_events);
void connection_say(struct connection *connection, const struct buffer *message);
void connection_flush(struct connection *connection);
void connection_stall(struct connection *connection, bool stalled);

/* For the transport, once messages can be said: say what the dialect says first. */
void connection_greet(struct connection *connection);

/* Lets `hear` hear what a text that comes in pieces holds; it returns the length of the message it has heard, or 0 if
 * that is not all there. */
void connection_hear_pieces(struct connection *connection, const char *text, size_t length,
                            size_t (*hear)(struct connection *connection, const char *text, size_t length));

/* When the bytes that are being heard were received (CLOCK_MONOTONIC). */
uint64_t connection_received_ns(void);
