/* tRPC over WebSockets: a subscription per subscriber, one mutation per publish. */
#include <string.h>

#include "connection.h"
#include "trpc.h"

static bool says(const char *text, size_t length, const char *word) {
    return memmem(text, length, word, strlen(word)) != NULL;
}

static bool greet(struct buffer *message, const struct connection *connection) {
    if (connection->task == PUBLISHER) return false;
    /* After an id that no server knows comes all that is kept. */
    buffer_print(message,
                 "{\"id\":1,\"method\":\"subscription\",\"params\":{\"path\":\"stream.onTaskProgress\","
                 "\"input\":{\"taskId\":\"task-%d\"}%s}}",
                 connection->task, connection->replays ? ",\"lastEventId\":\"long ago\"" : "");
    return true;
}

void trpc_write_draft(struct buffer *to, const struct event *event) {
    buffer_print(to, "{\"topic\":\"task.progress\",\"payload\":");
    event_write(to, event);
    buffer_print(to, "}");
}

static void write_drafts(struct buffer *message, const struct event *events, int count) {
    buffer_print(message, "{\"events\":[");
    for (int i = 0; i < count; i++) {
        if (i) buffer_print(message, ",");
        trpc_write_draft(message, &events[i]);
    }
    buffer_print(message, "]}");
}

static void publish(struct buffer *message, const struct event *events, int count) {
    static unsigned request;
    buffer_print(message, "{\"id\":%u,\"method\":\"mutation\",\"params\":{\"path\":\"%s\",\"input\":", ++request,
                 count == 1 ? "events.publish" : "events.publishMany");
    if (count == 1)
        trpc_write_draft(message, events);
    else
        write_drafts(message, events, count);
    buffer_print(message, "}}");
}

static void hear(struct connection *connection, const char *text, size_t length) {
    if (connection->stage == READY && connection->task != PUBLISHER)
        heard_event(connection, text, length);
    else if (says(text, length, "\"error\""))
        heard_refusal(text, length);
    else if (connection->task == PUBLISHER)
        heard_acknowledgement(connection);
    else if (says(text, length, "\"started\""))
        heard_welcome(connection);
}

const struct dialect TRPC = {
    .name = "trpc", .transport = &WEBSOCKET, .opcode = TEXT, .greet = greet, .publish = publish, .hear = hear};
