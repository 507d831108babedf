#include <stdint.h>

void touch_in_c(char *memory, uintptr_t bytes);
void touch_in_odd_c(char *memory, uintptr_t bytes);
void call_go(char *memory, uintptr_t bytes);
uintptr_t address_in_c(void);
uintptr_t address_in_odd_c(void);
extern void goFromC(char *memory, uintptr_t bytes);

static volatile int sink;

/* Leaves the frame pointer's register alone. */
__attribute__((noinline, aligned(256))) void
touch_in_c(char *memory, uintptr_t bytes)
{
	for (uintptr_t at = 0; at < bytes; at += 4096)
		((volatile char *)memory)[at] = 1;
	sink++;
}

/* Uses it for something else. */
__attribute__((noinline, aligned(256))) void
touch_in_odd_c(char *memory, uintptr_t bytes)
{
	register long odd __asm__("rbp") = 12345;

	__asm__ volatile("" : "+r"(odd));
	for (uintptr_t at = 0; at < bytes; at += 4096)
		((volatile char *)memory)[at] = 1;
	__asm__ volatile("" : "+r"(odd));
	sink += (int)odd;
}

__attribute__((noinline, aligned(256))) void
call_go(char *memory, uintptr_t bytes)
{
	goFromC(memory, bytes);
	sink++;
}

uintptr_t
address_in_c(void)
{
	return (uintptr_t)touch_in_c;
}

uintptr_t
address_in_odd_c(void)
{
	return (uintptr_t)touch_in_odd_c;
}
