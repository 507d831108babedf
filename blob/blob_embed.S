/* blob_embed.S: the blob as the command carries it; blob_embed.h names it. VMT_BLOB_FILE: where the build has it. */
	.section .rodata
	.globl	vmt_blob_embed
	.globl	vmt_blob_embed_end
	.hidden	vmt_blob_embed
	.hidden	vmt_blob_embed_end
	.balign	16
vmt_blob_embed:
	.incbin	VMT_BLOB_FILE
vmt_blob_embed_end:

	.section .note.GNU-stack, "", %progbits
