#include "capture/record/birth.h"

#include "base/sys.h"
#include "capture/core/guard.h"
#include "capture/core/threads_inside.h"
#include "capture/emit/emit.h"
#include "capture/go/go_stack.h"
#include "capture/stacks/stack_bounds.h"
#include "capture/stacks/stack_floors.h"
#include "format/event.h"
#include "format/raw_calls.h"

#include <sched.h>
#include <sys/uio.h>

/* Of a descriptor, where it is not known how large it is: it holds its own address. */
#define DESCRIPTOR_BYTES sizeof(uint64_t)

/* clone(2): struct clone_args, as far as the first version of it goes. */
struct arguments {
	uint64_t flags;
	uint64_t pidfd;
	uint64_t child_tid;
	uint64_t parent_tid;
	uint64_t exit_signal;
	uint64_t stack;
	uint64_t stack_bytes;
	uint64_t descriptor;
};

bool
vmt_birth_is_one(long number)
{
	return (number & VMT_BIRTH_TAG) != 0;
}

long
vmt_birth_result(long number)
{
	return number & VMT_BIRTH_RESULT;
}

/* They may be gone by now. False: what they were is not known. */
static bool
read_arguments(struct arguments *arguments, long address)
{
	struct iovec from = {(void *)address, sizeof(*arguments)}; /* NOLINT */
	struct iovec to = {arguments, sizeof(*arguments)};

	return vmt_guard_syscalls_allowed() &&
	       vmt_sys_call6(SYS_process_vm_readv, vmt_guard_owner->pid, (long)&to, 1, (long)&from,
			     1, 0) == (long)sizeof(*arguments);
}

static bool
find_arguments(struct arguments *arguments, const struct vmt_raw_call *call)
{
	uint16_t number = vmt_birth_calls[call->number >> VMT_BIRTH_KIND_SHIFT & 3];

	switch (number) {
	case SYS_fork:
		return true;
	case SYS_vfork:
		arguments->flags = CLONE_VM | CLONE_VFORK;
		return true;
	case SYS_clone:
		arguments->flags = (uint32_t)call->words[0];
		arguments->descriptor = (uint64_t)call->words[4];
		return true;
	default:
		return read_arguments(arguments, call->words[0]);
	}
}

/* The lowest page is the guard page (glibc gives clone3 the whole block), if there is one. With the
 * control block at the stack's end, or above it. clone does not say where the stack begins. */
static void
note_floor(const struct arguments *arguments)
{
	uint64_t low = arguments->stack;

	if (arguments->stack_bytes == 0 || arguments->descriptor <= low ||
	    arguments->descriptor - low < arguments->stack_bytes)
		vmt_stack_floors_forget(arguments->descriptor);
	else if (vmt_stack_bounds_can_be_read(low))
		vmt_stack_floors_add(low, arguments->descriptor + 1 - low);
	else
		vmt_stack_floors_add_guarded(arguments->descriptor);
}

/* A thread of the Go runtime's sets its pointer before it makes a call that is recorded. */
static bool
shares_pointer(uint64_t flags)
{
	return (flags & CLONE_VM) && !(flags & CLONE_SETTLS) && vmt_go_stack_id_word() == 0;
}

static void
emit(struct vmt_map_event *event, uint32_t stack)
{
	event->stack = stack;
	event->time = vmt_emit_time_after();
	vmt_emit_map(event);
}

void
vmt_birth_note(const struct vmt_raw_call *call, uint32_t stack)
{
	struct arguments arguments = {.flags = 0};
	struct vmt_map_event event = {.kind = VMT_EVENT_FORK};

	if (!find_arguments(&arguments, call) || (arguments.flags & CLONE_VFORK))
		return;
	if (shares_pointer(arguments.flags))
		vmt_threads_inside_distrust();
	if (!(arguments.flags & CLONE_THREAD)) {
		event.argument_a = (uint64_t)vmt_birth_result(call->number);
		event.flags = (uint32_t)arguments.flags;
		emit(&event, stack);
	} else if (arguments.flags & CLONE_SETTLS) {
		note_floor(&arguments);
		event.kind = VMT_EVENT_THREAD;
		event.address = arguments.descriptor;
		event.length = arguments.stack_bytes;
		event.argument_a = DESCRIPTOR_BYTES;
		event.argument_b = (uint64_t)vmt_birth_result(call->number);
		event.flags = VMT_THREAD_MAPPED;
		emit(&event, stack);
	}
}
