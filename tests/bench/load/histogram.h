/* Latencies in buckets of 1.6 % each: constant memory, any range. */
#pragma once

#include <stdint.h>

enum { HISTOGRAM_FINENESS = 6, HISTOGRAM_BUCKETS = (64 - HISTOGRAM_FINENESS + 1) << HISTOGRAM_FINENESS };

struct histogram {
    uint64_t count;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);

/* The value that `share` (0 to 1) of all values do not exceed; 0 if there is none. */
uint64_t histogram_quantile(const struct histogram *histogram, double share);
