"""The control plane, `/_standin`: to command the stand-in and to look into it. Not part of the API it stands for."""
