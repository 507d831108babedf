/*
 * return_frame.h: takes a thread back to what it did, should this process die meanwhile
 *
 * While a thread makes calls for us it executes a `syscall; ret` of the program's own text, and its
 * stack pointer leads to a frame as the kernel makes it for a signal handler. The frame lies in the
 * lowest page of [stack], which no program has come down to. Should the tracer be killed, the
 * kernel lets the thread go: it ends the call, returns into the program's own
 * `mov $15, %eax; syscall` (rt_sigreturn), and the kernel takes registers, vector registers and
 * signal mask out of the frame. A system call that the thread was stopped in is made again, as the
 * kernel does after a stop (arch/x86/kernel/signal.c, arch_do_signal_or_restart).
 *
 * A program that has no signal handler linked in may lack that code. There `pop %rax; ret` does,
 * wherever those two bytes stand, with 15 on the stack: it leads to the `syscall; ret` again.
 *
 * One that waits for a time that had begun (-ERESTART_RESTARTBLOCK) is made again as a whole: it
 * lasts longer by what had gone by. Only where the thread was in restart_syscall already, and
 * neither the text before it nor `earlier` tells which call that was, does the call fail with
 * EINTR.
 *
 * rt_sigreturn pops the shadow stack where there is one (CET), so such a program is refused by the
 * caller. x86-64 alone. Single-threaded. Errors: negative errno.
 */
#ifndef VMT_RETURN_FRAME_H
#define VMT_RETURN_FRAME_H

#include "base/buffer.h"
#include "inject/target_memory.h"
#include "inject/tracee.h"

#include <stdbool.h>

/* What a thread was stopped in before: a call that has become restart_syscall since. */
struct vmt_return_call {
	pid_t tid; /* 0: nothing is known */
	uint64_t number;
	uint64_t pc;
	uint64_t words[3];
};

struct vmt_return_frame {
	uint64_t call_address;		/* of a `syscall; ret` */
	uint64_t restorer_address;	/* of `mov $15, %eax; syscall`, or of `pop %rax; ret` */
	bool is_popped;			/* the latter */
	uint64_t address;		/* where the frame goes */
	struct vmt_buffer memory;	/* the frame, and what was in its place */
	size_t bytes;			/* of the frame; 0 = none is written */
	struct vmt_return_call earlier; /* the caller's to fill in */
};

/* Looks for the addresses, while the program runs or stands. The caller closes it afterwards, also
 * after an error. -ENOENT: the program has no such code, or no [stack]. */
int vmt_return_frame_find(struct vmt_return_frame *frame, const struct vmt_target *target);

/* Whether the code that was found is there still: it may be among what was replaced. */
bool vmt_return_frame_is_intact(const struct vmt_return_frame *frame,
				const struct vmt_target *target);

/* Whether a thread with this stack pointer is far enough from the frame's place. */
bool vmt_return_frame_is_clear_of(const struct vmt_return_frame *frame, uint64_t stack_pointer);

/* Writes the frame for a stopped thread, which goes on with these registers and this mask.
 * -ENOEXEC: it is not intact. */
int vmt_return_frame_write(struct vmt_return_frame *frame, const struct vmt_target *target,
			   pid_t tid, const struct vmt_registers *registers, uint64_t mask);

/* What to keep of a thread for the next time that it is stopped. */
struct vmt_return_call vmt_return_frame_call(pid_t tid, const struct vmt_registers *registers);

/* Puts back what was in the frame's place. */
int vmt_return_frame_erase(struct vmt_return_frame *frame, const struct vmt_target *target);

void vmt_return_frame_close(struct vmt_return_frame *frame);

#endif
