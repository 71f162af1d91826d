/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_json_patch.c - any bytes as a json patch, or as an object and one
 */
#include "patch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_patch(PATCH_JSON, (const char *)data, size);
}
