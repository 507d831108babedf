/* blob_section.S: the blob as a section of the library's file, which no loader maps. VMT_BLOB_FILE: where the build has
 * it. */
	.section .vmtrace_blob, "", %progbits
	.balign	16
	.incbin	VMT_BLOB_FILE

	.section .note.GNU-stack, "", %progbits
