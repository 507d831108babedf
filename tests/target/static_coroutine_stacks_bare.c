/* coroutine_stacks_bare, linked statically: the recorder is put into it. */
#include "tests/target/coroutine_stacks_bare.c" /* NOLINT(bugprone-suspicious-include) */
