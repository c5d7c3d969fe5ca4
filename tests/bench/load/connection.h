/* One WebSocket client: connecting, upgrading, greeting, ready; what is half sent and half received. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"
#include "dialect.h"
#include "ledger.h"

enum stage { CONNECTING, UPGRADING, GREETING, READY };

struct connection {
    int descriptor;
    enum stage stage;
    int task; /* or PUBLISHER */
    bool stalled;
    bool replays; /* it asks for all that is kept */
    struct ledger ledger;
    struct buffer unsent;
    struct buffer unread; /* the start of a frame */
    struct buffer unheard; /* the start of a message, where messages are not frames */
    int agreements; /* NATS: how many +OK came */
};

/* Every connection speaks `dialect` to 127.0.0.1:port and is watched by `epoll` with its address as data. */
void connections_to(int port, const struct dialect *dialect, int epoll);

void connection_open(struct connection *connection, int task, bool replays);
void connection_wake(struct connection *connection, uint32_t epoll_events);
void connection_say(struct connection *connection, const struct buffer *message);
void connection_flush(struct connection *connection);
void connection_stall(struct connection *connection, bool stalled);

/* When the bytes that are being heard were received (CLOCK_MONOTONIC). */
uint64_t connection_received_ns(void);
