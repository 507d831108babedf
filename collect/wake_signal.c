#include "collect/wake_signal.h"

#include "base/sys.h"

#include <signal.h>
#include <stdint.h>

#define SIGNAL_SET_BYTES 8
#define RESTORER UINT64_C(0x04000000) /* SA_RESTORER */

/* struct kernel_sigaction: the C library's is another. */
struct action {
	void (*handler)(int);
	uint64_t flags;
	void (*restorer)(void);
	uint64_t mask;
};

static void
wake(int signal_number)
{
	(void)signal_number;
}

#if defined(__x86_64__)
/* Where the handler returns to: x86 has no other way back. 15 is SYS_rt_sigreturn. */
__asm__(".pushsection .text\n"
	".type vmt_wake_signal_return, @function\n"
	"vmt_wake_signal_return:\n"
	"	mov $15, %eax\n"
	"	syscall\n"
	".size vmt_wake_signal_return, . - vmt_wake_signal_return\n"
	".popsection\n");

__attribute__((visibility("hidden"))) extern void vmt_wake_signal_return(void);
#endif

static long
set_action(void (*handler)(int))
{
	struct action action = {.handler = handler};

#if defined(__x86_64__)
	action.flags = RESTORER;
	action.restorer = vmt_wake_signal_return;
#endif
	return vmt_sys_call4(SYS_rt_sigaction, SIGIO, &action, NULL, SIGNAL_SET_BYTES);
}

bool
vmt_wake_signal_begin(void)
{
	uint64_t set = UINT64_C(1) << (SIGIO - 1);

	return set_action(wake) == 0 &&
	       vmt_sys_call4(SYS_rt_sigprocmask, SIG_UNBLOCK, &set, NULL, SIGNAL_SET_BYTES) == 0;
}

void
vmt_wake_signal_end(void)
{
	(void)set_action(SIG_IGN);
}
