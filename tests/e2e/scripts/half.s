# A program of 32 bits that needs no compiler: a line, a block, status 7.
	.globl _start
_start:
	pushl $text
	call puts
	pushl $70000
	call malloc
	pushl %eax
	call free
	pushl $7
	call exit

	.data
text:	.asciz "thirty-two"
