#include "capture/stacks/library_stack.h"

#if defined(VMT_THREAD_ON_STACK)
#include <sys/uio.h>

#define MUSL_ID UINT64_C(0x30)
#define MUSL_STACK UINT64_C(0x58)

struct musl_stack {
	uint64_t end;
	uint64_t bytes;
};

/* Another library's control block may end before. */
static bool
read_stack(uint64_t address, struct musl_stack *stack)
{
	struct iovec from = {(void *)address,
			     sizeof(*stack)}; /* NOLINT(performance-no-int-to-ptr) */
	struct iovec to = {stack, sizeof(*stack)};

	return vmt_sys_call6(SYS_process_vm_readv, vmt_sys_call0(SYS_getpid), (long)&to, 1,
			     (long)&from, 1, 0) == (long)sizeof(*stack);
}

uint64_t
vmt_library_stack_low(const struct vmt_thread *thread, uint64_t sp)
{
	uint64_t pointer = vmt_thread_pointer();
	struct musl_stack stack;

	if (thread->id_word == 0 || thread->id_word != pointer + MUSL_ID ||
	    !read_stack(pointer + MUSL_STACK, &stack))
		return 0;
	if (stack.end > pointer || stack.end <= sp || stack.bytes >= stack.end ||
	    stack.end - stack.bytes > sp)
		return 0;
	return stack.end - stack.bytes;
}
#else
uint64_t
vmt_library_stack_low(const struct vmt_thread *thread, uint64_t sp)
{
	(void)thread;
	(void)sp;
	return 0;
}
#endif
