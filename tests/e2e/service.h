/*
 * service.h: a program and its plugin in a directory of their own, which can be removed; and all
 * that is said of its trace.
 *
 * A mistake fails the test. Strings of answers are freed by the caller.
 */
#ifndef VMT_E2E_SERVICE_H
#define VMT_E2E_SERVICE_H

#include "tests/e2e/harness.h"

/* A directory of that name with a program and what it loads; the program's path, valid until the
 * next call. */
const char *service_install(const char *name);
void service_record(const char *program, const char *trace);

/* What `vmtrace` prints. */
char *service_say(const char *const words[]);

/* Whether lines of the program, and of its plugin, stand in it. */
void service_expect_names(const char *const words[], bool of_program, bool of_plugin);

/* Text and JSON of a trace at several moments, and all that is in it. */
#define SERVICE_ANSWERS 5u

void service_ask(const char *trace, char *answers[SERVICE_ANSWERS]);
void service_compare(char *wanted[SERVICE_ANSWERS], char *got[SERVICE_ANSWERS]);
void service_forget(char *answers[SERVICE_ANSWERS]);

#endif
