/* What the load generator is asked to do. */
#pragma once

#include <stdbool.h>

#include "dialect.h"

enum { MAX_PHASES = 8 };

struct phase {
    char name[24]; /* in one named "stalled" the last subscriber does not read */
    double seconds;
};

struct options {
    const struct dialect *dialect;
    int port;
    int publish_port;        /* where events are published; 0 where they are subscribed to */
    int subscribers, tasks;  /* subscriber i reads task i % tasks, event i goes to it */
    int callers;             /* how many ask, each again once it is answered; then nobody subscribes */
    int first_task;          /* the number of the first of them */
    int at_once;             /* how many connect at a time */
    int window;              /* closed loop: how many events may be on their way */
    double rate;             /* open loop: events a second */
    int batch;               /* events in one message */
    int events;              /* how many are published at most; 0 for any number */
    int replayed;            /* how many that were published before each subscriber gets; nothing is published */
    int bytes;               /* of an event's JSON */
    int retained;            /* how many events the server keeps */
    double drain;            /* seconds to wait for the last events */
    double limit;            /* seconds after which it gives up */
    struct phase phases[MAX_PHASES];
    int phase_count;
};

/* Neither window nor rate nor replayed: connect, subscribe, and stay until stdin ends. */
struct options options_read(int count, char **words);
