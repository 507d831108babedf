#include "capture/record/heap_entries.h"

#if defined(__x86_64__)

#include "capture/record/kept_vectors.h"

#include "capture/record/heap_calls.h"

#include <stddef.h>

typedef uint64_t next_call(uint64_t first, uint64_t second, uint64_t third);

static uint64_t __attribute__((noinline))
pass(uint64_t first, uint64_t second, uint64_t third, next_call *next)
{
	vmt_atomic_add_relaxed(&vmt_heap_missed, 1);
	return next(first, second, third);
}

static uint64_t
no_block(uint64_t first, uint64_t second, uint64_t third)
{
	(void)first;
	(void)second;
	(void)third;
	return 0;
}

static inline uint64_t
product(uint64_t count, uint64_t size)
{
	uint64_t bytes;

	return __builtin_mul_overflow(count, size, &bytes) ? UINT64_MAX : bytes;
}

static inline void *
block_of(uint64_t word)
{
	return (void *)word; /* NOLINT(performance-no-int-to-ptr) */
}

static inline bool
is_watched(const struct vmt_thread *thread)
{
	return vmt_heap_mode() != VMT_MALLOC_OFF && thread->heap_depth == 0 &&
	       vmt_atomic_load_acquire(&vmt_guard_owner->state) == VMT_OWNER_RECORDING;
}

/* The function as it was, with all that it came with. */
#define NEXT (next(first, second, third))
#define ACQUIRE(event, size)                                                                       \
	((uint64_t)VMT_HEAP_CALLS_ACQUIRE(thread, frame, VMT_EVENT_##event, size, block_of(NEXT)))
#define CHANGE(event, size)                                                                        \
	((uint64_t)VMT_HEAP_CALLS_CHANGE(thread, frame, VMT_EVENT_##event, block_of(first), size,  \
					 block_of(NEXT)))

#define MAKE_ACQUIRE_1(event) return ACQUIRE(event, first);
#define MAKE_ACQUIRE_2(event) return ACQUIRE(event, second);
#define MAKE_ACQUIRE_PRODUCT(event) return ACQUIRE(event, product(first, second));
#define MAKE_CHANGE_2(event) return CHANGE(event, second);
#define MAKE_CHANGE_PRODUCT(event) return CHANGE(event, product(second, third));
#define MAKE_RELEASE(event)                                                                        \
	{                                                                                          \
		uint32_t outer;                                                                    \
                                                                                                   \
		if (first == 0 || !vmt_heap_may_release(thread, block_of(first), frame))           \
			return NEXT;                                                               \
		outer = vmt_heap_calls_begin_release(thread, VMT_EVENT_##event, block_of(first),   \
						     frame);                                       \
		(void)NEXT;                                                                        \
		thread->heap_depth = outer;                                                        \
		return 0;                                                                          \
	}
#define MAKE_ACQUIRE_AT(event)                                                                     \
	return (uint64_t)VMT_HEAP_CALLS_ACQUIRE_AT(thread, frame, VMT_EVENT_##event,               \
						   (void **)block_of(first), third, (int)NEXT);

/* Where there is no block, the entry goes on to what may throw, with no frame of ours below it. */
#define MAKE_OR_ELSE(event)                                                                        \
	return (uint64_t)VMT_HEAP_CALLS_ACQUIRE(thread, frame, VMT_EVENT_##event, first,           \
						block_of(acquire(first, 0, 0)));

/* Nothing is held across the call. */
#define MAKE_NEW(event)                                                                            \
	{                                                                                          \
		uint32_t calls = thread->heap_calls;                                               \
		uint64_t block;                                                                    \
                                                                                                   \
		if (!is_watched(thread))                                                           \
			return NEXT;                                                               \
		block = NEXT;                                                                      \
		if (thread->heap_calls == calls)                                                   \
			vmt_heap_acquired(thread, VMT_EVENT_##event, block_of(block), first,       \
					  frame);                                                  \
		return block;                                                                      \
	}
#define MAKE_INSIDE(event)                                                                         \
	{                                                                                          \
		uint64_t result;                                                                   \
                                                                                                   \
		if (!vmt_heap_enter(thread, frame))                                                \
			return NEXT;                                                               \
		result = NEXT;                                                                     \
		vmt_heap_leave(thread);                                                            \
		return result;                                                                     \
	}

#define QUICK_RELEASE                                                                              \
	if (vmt_heap_is_quick_free(block_of(first)))                                               \
		return NEXT;
#define QUICK_ACQUIRE_1
#define QUICK_ACQUIRE_2
#define QUICK_ACQUIRE_PRODUCT
#define QUICK_ACQUIRE_AT
#define QUICK_CHANGE_2
#define QUICK_INSIDE
#define QUICK_NEW
/* The entry goes on to the function itself. */
#define QUICK_OR_ELSE next = no_block;
#define QUICK_CHANGE_PRODUCT

/* Called by its entry alone, in assembly. */
#define HANDLER(entry, event, form)                                                                \
	__attribute__((used)) static uint64_t heap_entry_##entry##_made(                           \
	    uint64_t first, uint64_t second, uint64_t third, next_call *next, const void *frame,   \
	    next_call *acquire)                                                                    \
	{                                                                                          \
		struct vmt_thread *thread;                                                         \
                                                                                                   \
		(void)second;                                                                      \
		(void)third;                                                                       \
		(void)acquire;                                                                     \
		QUICK_##form thread = vmt_thread_find();                                           \
		if (__builtin_expect(thread == NULL, 0))                                           \
			return pass(first, second, third, next);                                   \
		MAKE_##form(event)                                                                 \
	}
VMT_HEAP_ENTRIES(HANDLER)

/* -- entries ----------------------------------------------------------------------------------- */

/* The stub's words (inject/entry_hook.h) are kept in the frame: rax at -8(%rbp), the way to the
 * function at -16(%rbp), the way to malloc at -24(%rbp). */
#define BEGIN                                                                                      \
	"	.cfi_startproc\n"                                                                        \
	"	push	%rbp\n"                                                                             \
	"	.cfi_def_cfa_offset 16\n"                                                                \
	"	.cfi_offset %rbp, -16\n"                                                                 \
	"	mov	%rsp, %rbp\n"                                                                        \
	"	.cfi_def_cfa_register %rbp\n"                                                            \
	"	sub	$32, %rsp\n"                                                                         \
	"	push	%rcx\n"                                                                             \
	"	push	%rdx\n"                                                                             \
	"	push	%rsi\n"                                                                             \
	"	push	%rdi\n"                                                                             \
	"	push	%r8\n"                                                                              \
	"	push	%r9\n"                                                                              \
	"	push	%r10\n"                                                                             \
	"	push	%r11\n"                                                                             \
	"	mov	-16(%rbp), %rcx\n"                                                                   \
	"	mov	%rbp, %r8\n"                                                                         \
	"	mov	-24(%rbp), %r9\n"
#define RESTORE                                                                                    \
	"	pop	%r11\n"                                                                              \
	"	pop	%r10\n"                                                                              \
	"	pop	%r9\n"                                                                               \
	"	pop	%r8\n"                                                                               \
	"	pop	%rdi\n"                                                                              \
	"	pop	%rsi\n"                                                                              \
	"	pop	%rdx\n"                                                                              \
	"	pop	%rcx\n"
#define RETURN                                                                                     \
	"	.cfi_remember_state\n"                                                                   \
	"	leave\n"                                                                                 \
	"	.cfi_def_cfa %rsp, 8\n"                                                                  \
	"	ret\n"                                                                                   \
	"	.cfi_restore_state\n"
#define END "	.cfi_endproc\n"

#define END_VALUE RESTORE RETURN END
/* A function without a value may be one that leaves rax alone. */
#define END_NONE RESTORE "	mov	-8(%rbp), %rax\n" RETURN END
/* rax has the function's own value in the end. */
#define END_OR_ELSE                                                                                \
	RESTORE "	test	%rax, %rax\n"                                                               \
		"	je	1f\n" RETURN "1:	mov	-16(%rbp), %rax\n"                            \
		"	leave\n"                                                                         \
		"	.cfi_def_cfa %rsp, 8\n"                                                          \
		"	jmp	*%rax\n" END

#define END_ACQUIRE_1 END_VALUE
#define END_ACQUIRE_2 END_VALUE
#define END_ACQUIRE_PRODUCT END_VALUE
#define END_ACQUIRE_AT END_VALUE
#define END_CHANGE_2 END_VALUE
#define END_CHANGE_PRODUCT END_VALUE
#define END_NEW END_VALUE
#define END_RELEASE END_NONE
#define END_INSIDE END_NONE

/* The report knows them by the beginning of their names. */
#define ENTRY(entry, event, form)                                                                  \
	extern const char heap_entry_##entry[] __attribute__((visibility("hidden")));              \
	__asm__(".pushsection .text\n"                                                             \
		".balign 16\n"                                                                     \
		".globl heap_entry_" #entry "\n"                                                   \
		".hidden heap_entry_" #entry "\n"                                                  \
		".type heap_entry_" #entry ", @function\n"                                         \
		"heap_entry_" #entry ":\n" BEGIN "	call	heap_entry_" #entry                \
		"_made\n" END_##form ".size heap_entry_" #entry ", . - heap_entry_" #entry "\n"    \
				     ".popsection\n");
VMT_HEAP_ENTRIES(ENTRY)

#define ADDRESS(entry, event, form) [VMT_HEAP_ENTRY_##entry] = heap_entry_##entry,
__attribute__((visibility("default")))
const void *const vmt_heap_entries[VMT_HEAP_ENTRIES_COUNT] = {VMT_HEAP_ENTRIES(ADDRESS)};

#endif
