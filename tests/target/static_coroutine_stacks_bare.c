/* coroutine_stacks_bare, linked statically: the recorder is put into it. Parts are taken out by the
 * thread itself alone. */
#define WAYS_TRIED ELSEWHERE
#include "tests/target/coroutine_stacks_bare.c" /* NOLINT(bugprone-suspicious-include) */
