import { CoPilotError } from '../errors.ts';
import { MAX_FRAME_BYTES } from './bus.ts';

/** Throws `FRAME_TOO_LARGE` for what no binding carries. */
export function refuseTooLarge(frame: Uint8Array): void {
  if (frame.length > MAX_FRAME_BYTES)
    throw new CoPilotError(
      'FRAME_TOO_LARGE',
      `a frame has at most ${MAX_FRAME_BYTES} bytes, this one ${frame.length}`,
    );
}
