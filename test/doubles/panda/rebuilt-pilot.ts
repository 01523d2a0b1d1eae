/**
 * Last words of the same pilot. Of these the recording has what they say, and not the bytes; the place of the storage was cut out of it, and
 * of `pilotLog` all but the beginning. They were put together again in the recorded order by Python's `json.dumps` and `gzip.compress`, which
 * make the recorded `updateJob` of `captured-pilot.ts` byte for byte.
 */
export const REBUILT = {
  finished:
    'H4sIALTR/2oC/51TUW+bMBD+K4jXDHwGDCVvhOQh6lZFazZtEtJkwKRewUbGdFGb/PfayRI1abWHvQD3ffd9d2fOL+5vWS5rd+q4' +
    'EQB2PznuoKlmFmi44MMDqy2oeccM0fWWCCCIPYy9ANYQTQmeAkwAzPMg55rd0e7gkK9+rRf3awsLWR+gp85GVGvW9fpOGQhbUWXq' +
    'jC1Ty7lNGsWjkH+Ezex5K/UFult93YU+xj7xT/0qveaHijhJCSYQ4NBP0jAG673tWqt+KdxxYMqveh/MpL4cta+3ujCcoTYjr+1n' +
    '4eKMzEmehV5M8MyLYBF52U1GPJKTBcmC2ZxAXJi6hdsM/JlZUWwjWpv2w+BoAklKAdfBMXEYVXvEG96yKUKtrGj7IAeNnqhCLS/R' +
    'wJAaKy6R7RFVPaoZKmv0ccfWk4m6l1zoo6856Pny/rZw95a7ULVy4+vN87s546pOmoCCB03CvIiGqVeWUHqYhlVKk9KKr+Y0Jwvp' +
    'u1mTpKlDksD/z0pThG/Qx13/a9a9/f2VVCyXo9B/V6ljVORvMR9sVj/mUgyjWTouxTfBLeUOk+zL3FmsfuYOhiBybmdO4Fmxs1Ky' +
    'YsMglYO9e1k9Mj3Jvv8Izhtp9o2LjfWAHewisrMvONOf5YGzsWn+ajljMMtJIohO2QulpMqPFwQuwDmnZyOtqBgWW67fZLItuxaf' +
    'oLN0/wrTtatJ5AMAAA==',
  failed:
    'H4sIAJzS/2oC/5WVXW+bMBSG/4rFbfnwB2DIXZekUtSti9Zs2qRIkwMm9Qo2MmbL2vS/zyZp10q9AOAC3uP38eFgjh+9X2q3Kr0Z' +
    '8GIIsecDrzPMcCdUTNS8dJIRDbdy0zoZQ5wGCAUYbmA8S+yFLyCcQTiYheE3rBn88/XPzfJ242SpykH63bgnZgxvWnOjrYScqbjj' +
    'ZV9zvVq4Qb28l+qPdCNbUSvzRj2uvxxJiFCYhOicrTYbMcyIaJ6gBBIahxDlBGc2fmhq537cen3HdVi0IYQQhbXah2b/sLUxG9r3' +
    'onS3Wy8tSlphBgNYUR7EjOTBbgd3AWKkyBndOfPWzrv1qk48cGfKKE2cwEr7BgSfOSXLEKX4NLbrdX3SK1vSWRTVqmD1nepM9Jvp' +
    'qBa7qOOR7guhIpdmVLQRyyOURe8n7Zhclq0S0py4ttaL1e311nt6clUplOZz1UtzrnDR9nMlu95WXSj5VQoX8LqLy08LsFz/mAME' +
    'cQyuPwAczK0VrLUqeNcpDVBwq4p7bi4uv33HL5/EFlzIvWPA48v5Ev2ohlAA7A2otGrAIA/pHwwIwFb+X0TgtIgI8u07giNY3Vx9' +
    'Bu44nlxhoaTRqg5b9rdWrHT6KTtgV6y13LEOSGVAJaTo7EJ6D459ROh0OB0FJz6m8WQ4ikfBYz9GaDIco1HwxE/ibDo8GwVP/TRL' +
    'JsNJMgpO/QzjyfAYj4Jnfp7k0+H5KHjuwzydDE/SMfAY+piQyfCUjIIjn9Dpfyh1f6hrDbZhve3TcY5D26aTHD03jqXWSs9PewUi' +
    'MHmjLwQb2srVsC0BowA/8KI3HJznHXYqzWS3PAhzpqSOYce9JsNX0jPUe/oH5k/AJwoHAAA=',
} as const;
