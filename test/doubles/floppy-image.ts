import { FLOPPY } from '../../agent/vm/floppy.ts';

/** The image as vboxwrapper makes it: longer payloads are cut without a word, and the guest's flag is set. */
export function floppyImage(text: string): Uint8Array {
  const image = new Uint8Array(FLOPPY.bytes);
  image.set(Buffer.from(text).subarray(0, FLOPPY.toGuest.bytes - 1));
  image[FLOPPY.forGuestFlag] = 1;
  return image;
}
