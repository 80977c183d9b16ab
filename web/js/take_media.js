// What a take panel plays: the picture, and a sound for each take, from files that may be gone.
import { make } from "./take_elements.js";

// `tell`: says what cannot be played. The picture is null if there is none.
export function mediaOf({ video, takes }, fileUrl, tell) {
  const audios = takes.map((take, index) => {
    const audio = make("audio", { preload: "none", src: fileUrl(take.file) });
    audio.addEventListener("error", () =>
      tell(`Take ${index} is no longer on disk. Run again to hear it.`),
    );
    return audio;
  });
  return { audios, video: video ? picture(fileUrl(video), tell) : null };
}

function picture(src, tell) {
  const video = make("video", { preload: "metadata", playsinline: "", "aria-label": "Picture", src });
  video.addEventListener("error", () => {
    if (video.getAttribute("src"))
      tell("The picture cannot be shown: the browser does not know its codec, or it is gone.");
  });
  return video;
}
