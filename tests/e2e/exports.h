/*
 * exports.h: what does an export say, beside the report of the same trace?
 *
 * A report as JSON is the measure: totals of each metric, bytes of each class. Failed expectations
 * fail the running test.
 */
#ifndef VMT_EXPORTS_H
#define VMT_EXPORTS_H

#include "tests/e2e/harness.h"

#define EXPORTS_METRICS 7u

/* Names of the metrics, in the order of the profile. */
extern const char *const exports_metrics[EXPORTS_METRICS];

/* Programs whose memory is of every class, and ways to record them. */
struct exports_subject {
	const char *target;
	const char *argument;
	const char *options[4];
};
#define EXPORTS_SUBJECTS 8u
extern const struct exports_subject exports_subjects[EXPORTS_SUBJECTS];

/* Records all of them; their traces, in that order. Static: valid until the next call. */
const char *const *exports_record(void);

/* What the report says of each metric: sums of its sites, its snapshot's RSS and virtual size. */
void exports_expect(json_t *report, uint64_t totals[EXPORTS_METRICS]);

/* `vmtrace report TRACE --format FORMAT -o PATH`, with two more arguments or NULL. */
void exports_write(const char *trace, const char *format, const char *path, const char *option,
		   const char *value);

/* The last number of each line of a file, added up. */
uint64_t exports_sum_lines(const char *path);

/* A port of 127.0.0.1 that nobody listens on now. Somebody may before it is used: a server that
 * ends at once is started again with another one, EXPORTS_TRIES times at most. */
#define EXPORTS_TRIES 10
unsigned exports_free_port(void);

/* Starts a server without output, that is killed at the test program's end at the latest. */
pid_t exports_serve(const char *const argv[]);
void exports_stop(pid_t server);
/* What a page says, once the server answers; false: the server has ended, and is reaped. Fails the
 * test where neither comes until the deadline (now_ms). */
bool exports_fetch(struct run *run, pid_t server, const char *url, int64_t deadline_ms);

#endif
