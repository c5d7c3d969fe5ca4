/* tRPC over HTTP: a query, and the mutation that publishes; one is answered before the next is asked on a connection. */
#include <string.h>

#include "connection.h"
#include "http.h"
#include "trpc.h"

static bool greet(struct buffer *message, const struct connection *connection) {
    (void)message, (void)connection;
    return false;
}

static void query(struct buffer *message, const struct event *events, int count) {
    (void)events, (void)count;
    http_get(message, "/trpc/hub.health", NULL, NULL);
}

static void mutate(struct buffer *message, const struct event *events, int count) {
    static struct buffer input;
    if (count != 1) heard_refusal("this dialect has no batches", 27);
    input.length = 0;
    trpc_write_draft(&input, events);
    http_post_json(message, "/trpc/events.publish", &input);
}

/* Any answer begins like this, and then has `fields`. */
static bool answers(const char *text, size_t length, const char *const fields[2]) {
    static const char RESULT[] = "{\"result\":{\"data\":{";
    return length >= sizeof RESULT && !memcmp(text, RESULT, sizeof RESULT - 1) &&
           memmem(text, length, fields[0], strlen(fields[0])) && memmem(text, length, fields[1], strlen(fields[1]));
}

static void hear_health(struct connection *connection, const char *text, size_t length) {
    static const char *const HEALTH[] = {"\"status\":\"ok\"", "\"uptime\":"};
    if (!answers(text, length, HEALTH)) heard_refusal(text, length);
    heard_acknowledgement(connection);
}

static void hear_published(struct connection *connection, const char *text, size_t length) {
    static const char *const PUBLISHED[] = {"\"id\":\"", "\"timestamp\":\""};
    if (!answers(text, length, PUBLISHED)) heard_refusal(text, length);
    heard_acknowledgement(connection);
}

const struct dialect QUERY = {.name = "query", .transport = &HTTP, .greet = greet, .publish = query, .hear = hear_health};
const struct dialect MUTATION = {
    .name = "mutation", .transport = &HTTP, .greet = greet, .publish = mutate, .hear = hear_published};
