/*
 * opcode_forms.h: what follows each opcode of x86-64
 *
 * A letter for each opcode, sixteen to a row (Intel SDM volume 2, appendix A):
 *   .  nothing
 *   x  no such instruction
 *   b  1 byte
 *   w  2 bytes
 *   e  3 bytes (enter)
 *   z  4 bytes; with an operand size prefix 2
 *   v  as z; with REX.W 8
 *   a  8 bytes; with an address size prefix 4
 *   j  a distance of 1 byte
 *   J  a distance of 4 bytes
 *   m  ModRM
 *   r  ModRM that names registers alone
 *   B  ModRM and 1 byte
 *   Z  ModRM and z
 *   t  ModRM, and 1 byte if it is a test
 *   T  ModRM, and z if it is a test
 *   s  ModRM, and 2 bytes with 66 or f2
 *   0  ModRM, whose middle bits are 0, and 1 byte
 *   1  ModRM, whose middle bits are 0, and z
 *   2  ModRM, whose middle bits are 0 or 1
 *   3  ModRM, whose middle bits are not 7
 *   4  ModRM, whose middle bits are 0
 */
#ifndef VMT_OPCODE_FORMS_H
#define VMT_OPCODE_FORMS_H

static const char vmt_opcode_forms[] = "mmmmbzxxmmmmbzxx"  /* 00 */
				       "mmmmbzxxmmmmbzxx"  /* 10 */
				       "mmmmbzxxmmmmbzxx"  /* 20 */
				       "mmmmbzxxmmmmbzxx"  /* 30 */
				       "xxxxxxxxxxxxxxxx"  /* 40: REX, read before */
				       "................"  /* 50 */
				       "xxxmxxxxzZbB...."  /* 60: 62 is EVEX */
				       "jjjjjjjjjjjjjjjj"  /* 70 */
				       "BZxBmmmmmmmmmmm4"  /* 80: 8f also begins XOP */
				       "..........x....."  /* 90 */
				       "aaaa....bz......"  /* a0 */
				       "bbbbbbbbvvvvvvvv"  /* b0 */
				       "BBw.xx01e.w..bx."  /* c0: c4 and c5 are VEX */
				       "mmmmxxx.mmmmmmmm"  /* d0 */
				       "jjjjbbbbJJxj...."  /* e0 */
				       "x.xx..tT......23"; /* f0 */

static const char vmt_opcode_forms_0f[] =
    "mmmmx.....x.xm.B"	/* 00: 0f 0f is 3DNow!, its opcode at the end */
    "mmmmmmmmmmmmmmmm"	/* 10 */
    "rrrrxxxxmmmmmmmm"	/* 20 */
    "......x.xxxxxxxx"	/* 30: 38 and 3a are read before */
    "mmmmmmmmmmmmmmmm"	/* 40 */
    "mmmmmmmmmmmmmmmm"	/* 50 */
    "mmmmmmmmmmmmmmmm"	/* 60 */
    "BBBBmmm.smxxmmmm"	/* 70 */
    "JJJJJJJJJJJJJJJJ"	/* 80 */
    "mmmmmmmmmmmmmmmm"	/* 90 */
    "...mBmmm...mBmmm"	/* a0 */
    "mmmmmmmmmmBmmmmm"	/* b0 */
    "mmBmBBBm........"	/* c0 */
    "mmmmmmmmmmmmmmmm"	/* d0 */
    "mmmmmmmmmmmmmmmm"	/* e0 */
    "mmmmmmmmmmmmmmmm"; /* f0 */

static const char vmt_opcode_forms_0f38[] = "mmmmmmmmmmmmxxxx"	/* 00 */
					    "mxxxmmxmxxxxmmmx"	/* 10 */
					    "mmmmmmxxmmmmxxxx"	/* 20 */
					    "mmmmmmxmmmmmmmmm"	/* 30 */
					    "mmxxxxxxxxxxxxxx"	/* 40 */
					    "xxxxxxxxxxxxxxxx"	/* 50 */
					    "xxxxxxxxxxxxxxxx"	/* 60 */
					    "xxxxxxxxxxxxxxxx"	/* 70 */
					    "mmmxxxxxxxxxxxxx"	/* 80 */
					    "xxxxxxxxxxxxxxxx"	/* 90 */
					    "xxxxxxxxxxxxxxxx"	/* a0 */
					    "xxxxxxxxxxxxxxxx"	/* b0 */
					    "xxxxxxxxmmmmmmxm"	/* c0 */
					    "xxxxxxxxmxxmmmmm"	/* d0 */
					    "xxxxxxxxxxxxxxxx"	/* e0 */
					    "mmxxxmmxmmmmmxxx"; /* f0 */

static const char vmt_opcode_forms_0f3a[] = "xxxxxxxxBBBBBBBB"	/* 00 */
					    "xxxxBBBBxxxxxxxx"	/* 10 */
					    "BBBxxxxxxxxxxxxx"	/* 20 */
					    "xxxxxxxxxxxxxxxx"	/* 30 */
					    "BBBxBxxxxxxxxxxx"	/* 40 */
					    "xxxxxxxxxxxxxxxx"	/* 50 */
					    "BBBBxxxxxxxxxxxx"	/* 60 */
					    "xxxxxxxxxxxxxxxx"	/* 70 */
					    "xxxxxxxxxxxxxxxx"	/* 80 */
					    "xxxxxxxxxxxxxxxx"	/* 90 */
					    "xxxxxxxxxxxxxxxx"	/* a0 */
					    "xxxxxxxxxxxxxxxx"	/* b0 */
					    "xxxxxxxxxxxxBxBB"	/* c0 */
					    "xxxxxxxxxxxxxxxB"	/* d0 */
					    "xxxxxxxxxxxxxxxx"	/* e0 */
					    "Bxxxxxxxxxxxxxxx"; /* f0 */

_Static_assert(sizeof(vmt_opcode_forms) == 257 && sizeof(vmt_opcode_forms_0f) == 257,
	       "a row has sixteen opcodes");
_Static_assert(sizeof(vmt_opcode_forms_0f38) == 257 && sizeof(vmt_opcode_forms_0f3a) == 257,
	       "a row has sixteen opcodes");

#endif
