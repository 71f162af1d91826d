/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_strategic_patch.c - any bytes as a strategic patch, or as an object and one
 */
#include "patch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_patch(PATCH_STRATEGIC, (const char *)data, size);
}
