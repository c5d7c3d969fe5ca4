/* Every response must be a 200 of the media type that was asked for, and its length or its end must be told. */
#include "http.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common.h"
#include "connection.h"

static const char OK[] = "HTTP/1.1 200 ";

/* ── requests ── */

void http_get(struct buffer *to, const char *target, const char *accepted, const char *resumed) {
    buffer_print(to, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n", target);
    if (accepted) buffer_print(to, "Accept: %s\r\n", accepted);
    if (resumed) buffer_print(to, "Last-Event-ID: %s\r\n", resumed);
    buffer_append(to, "\r\n", 2);
}

void http_post_json(struct buffer *to, const char *target, const struct buffer *body) {
    buffer_print(to, "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                 target, body->length);
    buffer_append(to, body->bytes, body->length);
}

static void say(struct connection *connection, const struct buffer *message) {
    buffer_append(&connection->unsent, message->bytes, message->length);
}

/* ── responses ── */

/* The value of a field of a head, which ends with an empty line; NULL if it has no such field. */
static const char *field(const char *head, size_t length, const char *name) {
    size_t size = strlen(name);
    const char *end = head + length;
    for (const char *line = head; (line = memchr(line, '\n', (size_t)(end - line))) && ++line < end;)
        if (!strncasecmp(line, name, size) && line[size] == ':') return line + size + 1 + strspn(line + size + 1, " \t");
    return NULL;
}

static bool says(const char *value, const char *word) { return value && !strncasecmp(value, word, strlen(word)); }

static void end(struct connection *connection) {
    connection->response.body = AHEAD;
    if (connection->dialect->streams) die("the server ended a stream");
    struct buffer whole = connection->unheard;
    connection->unheard = (struct buffer){0};
    connection->dialect->hear(connection, whole.bytes, whole.length);
    buffer_free(&whole);
}

static void end_if_all_is_read(struct connection *connection) {
    if (connection->response.body == SIZED && !connection->response.left) end(connection);
}

/* Takes the head. Returns its length, 0 if it is not complete. */
static size_t read_head(struct connection *connection, const char *bytes, size_t length) {
    const char *end = memmem(bytes, length, "\r\n\r\n", 4);
    if (!end) return 0;
    size_t head = (size_t)(end - bytes) + 4;
    const char *media_type = connection->dialect->streams ? "text/event-stream" : "application/json";
    if (memcmp(bytes, OK, sizeof OK - 1) || !says(field(bytes, head, "content-type"), media_type))
        heard_refusal(bytes, length);
    const char *size = field(bytes, head, "content-length");
    bool chunked = says(field(bytes, head, "transfer-encoding"), "chunked");
    connection->response = (struct response){
        chunked ? CHUNKED : size ? SIZED : ENDLESS,
        chunked || !size ? 0 : strtoul(size, NULL, 10),
    };
    end_if_all_is_read(connection);
    return head;
}

/* Takes the line before a chunk, and what ends the chunk before it. Returns its length, 0 if it is not all there. */
static size_t read_chunk_size(struct connection *connection, const char *bytes, size_t length) {
    size_t past = length >= 2 && *bytes == '\r' ? 2 : 0;
    const char *line_end = memmem(bytes + past, length - past, "\r\n", 2);
    if (!line_end) return 0;
    char *digits_end;
    size_t size = strtoul(bytes + past, &digits_end, 16), used = (size_t)(line_end - bytes) + 2;
    if (digits_end == bytes + past) die("no chunk: %.*s", (int)(length < 100 ? length : 100), bytes);
    connection->response.left = size;
    if (size) return used;
    if (length < used + 2) return 0;
    end(connection);
    return used + 2;
}

/* Takes a piece of the body. Returns its length, 0 if nothing of it is there. */
static size_t read_body(struct connection *connection, const char *bytes, size_t length) {
    struct response *response = &connection->response;
    if (response->body == CHUNKED && !response->left) return read_chunk_size(connection, bytes, length);
    size_t piece = response->body == ENDLESS || length < response->left ? length : response->left;
    if (connection->dialect->streams)
        connection->dialect->hear(connection, bytes, piece);
    else
        buffer_append(&connection->unheard, bytes, piece);
    if (response->body != ENDLESS) response->left -= piece;
    end_if_all_is_read(connection);
    return piece;
}

static size_t read_responses(struct connection *connection, char *bytes, size_t length) {
    size_t used = 0;
    for (size_t size = 1; size && used < length; used += size)
        size = connection->response.body == AHEAD ? read_head(connection, bytes + used, length - used)
                                                  : read_body(connection, bytes + used, length - used);
    return used;
}

const struct transport HTTP = {connection_greet, say, read_responses};
