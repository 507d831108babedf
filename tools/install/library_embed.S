/* library_embed.S: the library as vmtrace-install carries it. VMT_GLIBC_FILE, VMT_MUSL_FILE: where the build has it. */
	.section .rodata
	.globl	vmt_library_glibc, vmt_library_glibc_end, vmt_library_musl, vmt_library_musl_end
	.balign	16
vmt_library_glibc:
	.incbin	VMT_GLIBC_FILE
vmt_library_glibc_end:
vmt_library_musl:
#ifdef VMT_MUSL_FILE
	.incbin	VMT_MUSL_FILE
#endif
vmt_library_musl_end:

	.section .note.GNU-stack, "", %progbits
