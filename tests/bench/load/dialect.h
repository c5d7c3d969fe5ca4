/* What is said: tRPC, NATS's client protocol, or the bare one of this benchmark's own servers. */
#pragma once

#include <stdbool.h>

#include "buffer.h"
#include "event.h"
#include "frame.h"
#include "transport.h"

enum { PUBLISHER = -1 }; /* in place of a task */

struct connection;

struct dialect {
    const char *name;
    const struct transport *transport;
    enum opcode opcode; /* of WebSocket frames */
    bool streams;       /* HTTP: what is heard are pieces of an endless event stream, else whole bodies of JSON */
    const struct dialect *publishing; /* what is spoken by who publishes to subscribers of this one; NULL: the same */
    /* What a connection says first. False if it says nothing and need not be answered. */
    bool (*greet)(struct buffer *message, const struct connection *connection);
    /* One message that publishes `count` events; a query's only asks. */
    void (*publish)(struct buffer *message, const struct event *events, int count);
    /* Whether each event of such a message is acknowledged, or the message once. */
    bool acknowledges_each;
    /* Reports what one frame, body or piece says, by the functions below. */
    void (*hear)(struct connection *connection, const char *text, size_t length);
};

extern const struct dialect TRPC, NATS, BARE, SSE, QUERY, MUTATION;

/* What a dialect hears, told to the program. */
void heard_welcome(struct connection *connection);
void heard_event(struct connection *connection, const char *text, size_t length);
void heard_acknowledgement(struct connection *connection);
_Noreturn void heard_refusal(const char *text, size_t length);
