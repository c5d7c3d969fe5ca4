#include "ledger.h"

static uint32_t retained;

void ledger_set_retained(uint32_t events) { retained = events; }

static void note_gap(struct ledger *ledger, uint32_t number, uint32_t sent) {
    uint32_t oldest = sent > retained ? sent - retained : 0;
    uint32_t first_kept = oldest > ledger->next ? oldest : ledger->next;
    ledger->gaps++;
    ledger->missing += (number - ledger->next) / ledger->step;
    if (number > first_kept) ledger->lost += (number - first_kept) / ledger->step;
}

bool ledger_note(struct ledger *ledger, uint32_t number, uint32_t sent) {
    if (number < ledger->next) {
        ledger->repeated++;
        return false;
    }
    if (number > ledger->next) note_gap(ledger, number, sent);
    ledger->next = number + ledger->step;
    return true;
}

uint64_t ledger_outstanding(const struct ledger *ledger, uint32_t sent) {
    return sent > ledger->next ? (sent - ledger->next + ledger->step - 1) / ledger->step : 0;
}
