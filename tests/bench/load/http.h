/* HTTP/1.1 as its client: requests to write, and how far a response has been read. */
#pragma once

#include <stddef.h>

#include "buffer.h"

enum body {
    AHEAD,   /* the head is still to come */
    SIZED,   /* by its content-length */
    CHUNKED,
    ENDLESS, /* until the connection ends */
};

struct response {
    enum body body;
    size_t left; /* of a sized body, or of the chunk that is being read */
};

/* `accepted` is a media type, or NULL for any; `resumed` the id of the last event that came, or NULL. */
void http_get(struct buffer *to, const char *target, const char *accepted, const char *resumed);

void http_post_json(struct buffer *to, const char *target, const struct buffer *body);
