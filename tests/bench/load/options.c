#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

static const struct dialect *dialect_named(const char *name) {
    const struct dialect *all[] = {&TRPC, &NATS, &BARE, &SSE, &QUERY, &MUTATION};
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(all[i]->name, name)) return all[i];
    die("no such dialect: %s", name);
}

/* "warm=1,measure=5" */
static void read_phases(struct options *options, char *text) {
    for (char *each = strtok(text, ","); each; each = strtok(NULL, ",")) {
        if (options->phase_count == MAX_PHASES) die("more than %d phases", MAX_PHASES);
        struct phase *phase = &options->phases[options->phase_count++];
        if (sscanf(each, "%23[^=]=%lf", phase->name, &phase->seconds) != 2) die("no phase: %s", each);
    }
}

static void read_option(struct options *options, int key, char *value) {
    switch (key) {
        case 'd': options->dialect = dialect_named(value); break;
        case 'p': options->port = atoi(value); break;
        case 'O': options->publish_port = atoi(value); break;
        case 's': options->subscribers = atoi(value); break;
        case 'c': options->callers = atoi(value); break;
        case 't': options->tasks = atoi(value); break;
        case 'f': options->first_task = atoi(value); break;
        case 'e': options->events = atoi(value); break;
        case 'y': options->replayed = atoi(value); break;
        case 'o': options->at_once = atoi(value); break;
        case 'w': options->window = atoi(value); break;
        case 'r': options->rate = atof(value); break;
        case 'b': options->batch = atoi(value); break;
        case 'B': options->bytes = atoi(value); break;
        case 'R': options->retained = atoi(value); break;
        case 'D': options->drain = atof(value); break;
        case 'l': options->limit = atof(value); break;
        case 'P': read_phases(options, value); break;
        default: exit(2);
    }
}

static const struct option NAMES[] = {
    {"dialect", required_argument, NULL, 'd'}, {"port", required_argument, NULL, 'p'},
    {"publish-port", required_argument, NULL, 'O'},
    {"subscribers", required_argument, NULL, 's'}, {"callers", required_argument, NULL, 'c'},
    {"tasks", required_argument, NULL, 't'},
    {"first-task", required_argument, NULL, 'f'}, {"events", required_argument, NULL, 'e'},
    {"replayed", required_argument, NULL, 'y'},
    {"at-once", required_argument, NULL, 'o'}, {"window", required_argument, NULL, 'w'},
    {"rate", required_argument, NULL, 'r'}, {"batch", required_argument, NULL, 'b'},
    {"bytes", required_argument, NULL, 'B'}, {"retained", required_argument, NULL, 'R'}, {"drain", required_argument, NULL, 'D'},
    {"limit", required_argument, NULL, 'l'}, {"phases", required_argument, NULL, 'P'},
    {NULL, 0, NULL, 0},
};

struct options options_read(int count, char **words) {
    struct options options = {.dialect = &TRPC, .subscribers = 1, .tasks = 1, .at_once = 128, .batch = 1,
                              .bytes = 230, .retained = 100000, .drain = 10, .limit = 60};
    for (int key; (key = getopt_long(count, words, "", NAMES, NULL)) != -1;) read_option(&options, key, optarg);
    if (options.callers) options.subscribers = 0;
    if (!options.port || options.tasks < 1 || options.subscribers + options.callers < 1 || options.subscribers % options.tasks || options.batch < 1)
        die("needs a --port, and as many subscribers for each task");
    if (!options.publish_port) options.publish_port = options.port;
    return options;
}
