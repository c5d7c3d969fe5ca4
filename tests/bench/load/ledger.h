/* What one subscriber has received: every event of its task, once and in order, or how far from it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct ledger {
    uint32_t next, step; /* the number that must come next, and the distance between two of one task */
    uint64_t missing, repeated;
    uint64_t gaps; /* how often events were left out */
    uint64_t lost; /* those that are missing although the server still had them */
};

/* How many of the newest events a server keeps, over all tasks. Must be set once. */
void ledger_set_retained(uint32_t events);

/* Notes an event that came when `sent` had been sent. False if it had come before. */
bool ledger_note(struct ledger *ledger, uint32_t number, uint32_t sent);

/* How many of the first `sent` events have not come after the last one that did. */
uint64_t ledger_outstanding(const struct ledger *ledger, uint32_t sent);
