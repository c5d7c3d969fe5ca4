#include "histogram.h"

enum { EXACT = 1 << HISTOGRAM_FINENESS };

static unsigned bucket_of(uint64_t value) {
    if (value < EXACT) return (unsigned)value;
    unsigned shift = 63 - HISTOGRAM_FINENESS - (unsigned)__builtin_clzll(value);
    return ((shift + 1) << HISTOGRAM_FINENESS) + (unsigned)((value >> shift) & (EXACT - 1));
}

static uint64_t middle_of(unsigned bucket) {
    if (bucket < EXACT) return bucket;
    unsigned shift = (bucket >> HISTOGRAM_FINENESS) - 1;
    uint64_t start = (uint64_t)(EXACT + (bucket & (EXACT - 1))) << shift;
    return start + ((1ull << shift) >> 1);
}

void histogram_add(struct histogram *histogram, uint64_t value) {
    histogram->count++;
    histogram->buckets[bucket_of(value)]++;
}

uint64_t histogram_quantile(const struct histogram *histogram, double share) {
    if (!histogram->count) return 0;
    uint64_t wanted = (uint64_t)(share * (double)(histogram->count - 1)) + 1, seen = 0;
    for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        seen += histogram->buckets[bucket];
        if (seen >= wanted) return middle_of(bucket);
    }
    return 0;
}
