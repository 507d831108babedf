/*
 * stack_floors.h: where do stacks begin that may have no guard page below them?
 *
 * What lies below such a stack can be read as well as the stack itself: by its pages nobody can
 * tell where it begins, and what lies below may go at any time. So whoever creates the thread notes
 * it here first: the memory that the caller gave, or that there will be a stack with no guard page
 * at a place which is not known yet, and afterwards where that is. In a fork child they are those
 * of its parent.
 *
 * A stack that nobody told of may begin anywhere. So stacks with a guard page may be told of, too,
 * for those who need to know that they have one (of the latest VMT_STACK_FLOORS).
 *
 * Lock-free, async-signal-safe. A stack of before is overwritten by one that lies in the same
 * place.
 */
#ifndef VMT_STACK_FLOORS_H
#define VMT_STACK_FLOORS_H

#include <stdbool.h>
#include <stdint.h>

#define VMT_STACK_FLOORS 256u /* with more, a stack may be any */

/* Before the thread begins: its stack will be [low, low + bytes). 0 bytes: not known how many. */
void vmt_stack_floors_add(uint64_t low, uint64_t bytes);

/* Before the thread begins: there will be a stack without a guard page, of which no more is known.
 * Until what is expected was told, any stack may be it. */
void vmt_stack_floors_expect(void);

/* What was expected is not to come. */
void vmt_stack_floors_expect_no_more(void);

/* What was expected is there: of so many bytes, with its thread's control block at `top`. Its
 * lowest 64 KiB count as what lies below: how much lies above `top` is not known. */
void vmt_stack_floors_tell(uint64_t top, uint64_t bytes);

/* There is a guard page below the stack of the thread whose control block lies at `top`. */
void vmt_stack_floors_add_guarded(uint64_t top);

/* A thread began with its control block at `top`, and of its stack no more is known: what was told
 * of one there does not hold. */
void vmt_stack_floors_forget(uint64_t top);

/* Whether the stack of the thread whose control block lies at `top` was told of. */
bool vmt_stack_floors_are_known(uint64_t top);

/* How low the stack of the thread whose control block lies at `top` may begin. 0: anywhere, as
 * there is a guard page below it. UINT64_MAX: that is not known. */
uint64_t vmt_stack_floors_of(uint64_t top);

#endif
