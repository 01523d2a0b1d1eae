/**
 * The image that BOINC's vboxwrapper gives to a virtual machine as a floppy disk (`floppyio.cpp`): 14,335 bytes from host to guest, padded
 * with NUL, at most 14,334 of them payload; as many from guest to host; two flags. Nobody clears what is read without the flags.
 */
export const FLOPPY = {
  bytes: 28_672,
  toGuest: { offset: 0, bytes: 14_335 },
  toHost: { offset: 14_335, bytes: 14_335 },
  forGuestFlag: 28_670,
  forHostFlag: 28_671,
} as const;

/** What the host wrote, and whether an end was seen: longer payloads are cut without a word. Empty where it wrote nothing. */
export function hostText(image: Uint8Array): { readonly text: string; readonly isWhole: boolean } {
  const { offset, bytes } = FLOPPY.toGuest;
  const payload = image.subarray(offset, offset + bytes - 1);
  const end = payload.indexOf(0);
  const isWhole = end >= 0 && end < payload.length;
  return { text: Buffer.from(isWhole ? payload.subarray(0, end) : payload).toString('utf8'), isWhole };
}
