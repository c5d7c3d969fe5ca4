/* What tRPC's messages hold over any transport. */
#pragma once

#include "buffer.h"
#include "event.h"

/* The input of events.publish. */
void trpc_write_draft(struct buffer *to, const struct event *event);
