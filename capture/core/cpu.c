#include "capture/core/cpu.h"

#include "base/sys.h"

static uint32_t
ask_kernel(void)
{
	uint32_t number = 0;

	vmt_sys_call3(SYS_getcpu, &number, NULL, NULL);
	return number;
}

uint32_t (*vmt_cpu_ask)(void) = ask_kernel;

int64_t vmt_cpu_rseq_offset;
