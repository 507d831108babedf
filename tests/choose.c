/*
 * Which cases a test program runs: those whose names match VMT_TEST_CASE ('*' and '?' stand for any
 * text and any character), or all. Linked into every test program; `make test` sets the variable.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

__attribute__((constructor)) static void
choose_cases(void)
{
	const char *pattern = getenv("VMT_TEST_CASE");

	if (pattern != NULL && pattern[0] != '\0')
		cmocka_set_test_filter(pattern);
}
