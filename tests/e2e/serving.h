/*
 * serving.h: a recorded program that waits, vmtrace-serve, and what it answers.
 *
 * A mistake fails the test. A test that fails leaves no server.
 */
#ifndef VMT_E2E_SERVING_H
#define VMT_E2E_SERVING_H

#include "tests/e2e/harness.h"

#define SERVING_OPTIONS 8
#define SERVING_LIMIT_MS 120000

/* For as long as a group of tests runs: its directory of traces, and the one trace in it. */
extern char serving_directory[3072];
extern char serving_trace[4096];
extern struct conversation serving_program;

/* Set-up and end of the group: tests/target/moments with 20 MiB mapped. */
int serving_begin(void **state);
int serving_end(void **state);

/* A server of the traces in serving_directory, or in another; options end with NULL, or are NULL.
 * The port at which it listens, which the kernel chooses. */
unsigned serving_start(struct conversation *server, const char *const options[]);
unsigned serving_start_in(struct conversation *server, const char *traces,
			  const char *const options[]);
void serving_stop(struct conversation *server);

/* What curl says of a path; more are its options. Answers of any status are answers. */
void serving_ask(struct run *run, unsigned port, const char *path, const char *const more[]);
int serving_status(const struct run *run);
void serving_expect(unsigned port, const char *path, const char *const more[], int status);

/* The value of the one series that begins so; -1: there is none. That of vmtrace_unread_traces. */
int64_t serving_metric(const char *text, const char *beginning);
int64_t serving_unread(const char *metrics);

#endif
