/* page.S: the bundle of the page (tools/page/bundle), as bytes of the command; html.c names them. */
	.macro	bundle symbol, file
	.globl	\symbol
	.globl	\symbol\()_end
	.hidden	\symbol
	.hidden	\symbol\()_end
\symbol:
	.incbin	"\file"
\symbol\()_end:
	.endm

	.section .rodata
	bundle	vmt_page_script, "tools/page/bundle/page.js"
	bundle	vmt_page_style, "tools/page/bundle/page.css"
	bundle	vmt_page_policy, "tools/page/bundle/policy"

	.section .note.GNU-stack, "", %progbits
